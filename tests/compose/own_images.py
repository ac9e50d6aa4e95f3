"""The images that tests built, gone again."""


def remove_images(docker, tag):
    """Remove every image of a tag that only this test run gives."""
    for name in docker.run("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", timeout=60).split():
        if name.endswith(f":{tag}"):
            docker.run("image", "rm", name, timeout=60)
